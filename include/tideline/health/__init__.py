"""The health page: the status report as server-rendered HTML, read only, for whoever the guards let in."""
