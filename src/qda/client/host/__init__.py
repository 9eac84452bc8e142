"""What a program does for its DSP: it runs the calls that code on the DSP makes to the host.

A real DSP asks its host for the files of modules, and so does ours.  A session begins to serve such
calls when it is needed (`Session.serve_host`): a thread is parked on the DSP, and costs nothing
until a call comes (spec/fastrpc.md 7).
"""

from __future__ import annotations

from qda.client.host.service import HostService

__all__ = ["HostService"]
