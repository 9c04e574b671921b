"""git.status, git.log, git.diff, git.commit, git.branch, git.sync."""
