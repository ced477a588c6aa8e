"""The wizard: screens over the engine. Only in here is Textual known."""
