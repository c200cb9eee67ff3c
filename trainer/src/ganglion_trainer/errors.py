"""What goes wrong, in one line that says where."""


class TrainerError(Exception):
    """Input or settings that can't be used. The message is for people."""
