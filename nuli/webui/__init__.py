"""NUlIE inside AUTOMATIC1111's WebUI and its forks: everything that imports the host's `modules`."""
