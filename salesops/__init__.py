"""salesops: CRM export in, trustworthy quarterly pack out."""

import os

if os.environ.get("JPY_SESSION_NAME"):  # set by the server for a notebook that somebody opened; no headless run has it
    from salesops import desk

    desk.follow_edits()
