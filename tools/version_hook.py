"""
A build hook of hatchling: writes the version into wheels, for environments without the metadata of packages.

An editable installation gets no such module. Its version is in its metadata, and would differ after the next commit.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "driftline/_runtime/built_version.py"
"""Where `driftline._runtime.version` imports it from."""

TEXT = '''"""The version of this wheel, written when it was built."""

from __future__ import annotations

BUILT_VERSION = "{}"
'''


class VersionHook(BuildHookInterface):  # type: ignore[misc, unused-ignore]
    """Adds a module to wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the module into a temporary folder, from which the wheel takes it."""
        self._folder = Path(tempfile.mkdtemp())
        if version == "standard":
            module = self._folder / "built_version.py"
            module.write_text(TEXT.format(self.metadata.version), encoding="utf-8")
            build_data["force_include"][str(module)] = MODULE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Delete the folder."""
        shutil.rmtree(self._folder)
