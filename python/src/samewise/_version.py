"""The version, as the package's metadata has it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("samewise")
except PackageNotFoundError:  # From a checkout that is not installed.
    __version__ = "0.0.0"
