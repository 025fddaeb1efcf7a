"""Registers NUlIE with the WebUI; what is registered lives in nuli/webui."""

from modules import script_callbacks

# The host looks for script classes in this module. Imported now: A1111 has this folder on the path only while loading.
from nuli.webui import app, auto, filenames, settings, tab, xyz
from nuli.webui.auto import AutoEnhance
from nuli.webui.extras import Extras

__all__ = ["AutoEnhance", "Extras"]

script_callbacks.on_before_ui(xyz.add)
script_callbacks.on_ui_settings(settings.add)
script_callbacks.on_ui_tabs(tab.add)
script_callbacks.on_app_started(app.add)
script_callbacks.on_before_image_saved(tab.add_score)
script_callbacks.on_after_component(tab.note_component)
script_callbacks.on_after_component(auto.note_component)

filenames.add()
