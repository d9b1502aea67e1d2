"""What the command line tells in one line, without a traceback."""


class UserError(ValueError):
  """Something a user can put right: a flag, a config field, a path, a file.

  The message is one line that names the user's thing and says what to do.
  The command line prints it without a traceback and exits with status 2.
  """


class Interrupted(Exception):
  """The run was asked to stop, and has saved a checkpoint."""


class PeerLost(Exception):
  """Another process has ended, or taken over: this one cannot go on."""


class Unsaved(Exception):
  """The run has come to its end, or to a stop, and could not save it."""


class Incomplete(Exception):
  """Some of several scans could not be processed; the others are done."""


class Unfaithful(Exception):
  """What would have been exported does not compute what the network does."""


# Told without a traceback, with status 1.
ENDINGS = (Interrupted, PeerLost, Unsaved, Incomplete, Unfaithful)
