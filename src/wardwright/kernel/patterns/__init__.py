"""The one pattern language: read into a tree, admitted, and searched for, in requests, in streams and by detectors."""
