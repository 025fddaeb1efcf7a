"""The ComfyUI nodes: widgets and specs say what they offer, work what they do; nodes and host know ComfyUI."""
