"""One wizard step a file, and the dialogs."""
