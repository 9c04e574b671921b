"""The stream governor: rules that hold on every character of an answer while it is being written, without I/O."""
