"""The Gradio user interface: the same blocks serve the WebUI's tab and the stand-alone `nuli ui`."""
