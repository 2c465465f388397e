"""What a command said, and that it ended as it should."""


def said_by(done):
    """The output of a command that succeeded."""
    assert done.exit_code == 0, done.output
    return done.output


def refused_by(done):
    """The message of a command that refused its arguments, without a traceback."""
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.stderr
