"""Pictures: in and out of files, their pixels, colour spaces, and small frames of them."""
