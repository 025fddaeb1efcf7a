"""Many pictures: what is done to each, which are done already, and several at a time."""
