"""Loads modules from folders of the DSP's own: skeletons that are installed on it.

A DSP asks the host for files, which takes a listener there; many small programs have none.  Folders
that are named when a virtual DSP is started (`qda run --skeletons`) need nobody to ask.
"""

from __future__ import annotations

import os
from pathlib import Path

from qda.dsp.files import File, FileLoader, file_names
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import UNABLE_TO_LOAD, StatusError
from qda.fastrpc.uri import ModuleUri

__all__ = ["FolderLoader"]


class FolderLoader(FileLoader):
    """Loads modules from the folders that the environment of this process names, in order."""

    def _read(self, uri: ModuleUri, searched: list[str]) -> File | None:
        named = os.environ.get(FOLDERS_VARIABLE, "")
        for folder in filter(None, named.split(";")):
            for name in file_names(uri):
                path = Path(folder, name)
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    searched.append(str(path))
                except OSError as error:
                    raise StatusError(UNABLE_TO_LOAD, f"{path}: {error.strerror}") from error
                else:
                    return self.make(name, data, [path])
        return None
