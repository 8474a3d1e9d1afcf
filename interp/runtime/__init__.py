"""The impure half: the worker's loop, executors, handles, and the opening of stores."""

from typing import TYPE_CHECKING  # noqa: TID251  # beside `names_later`

from interp._later import names_later

__all__ = ["default_url", "open_store"]

# Whoever needs one module of this package need not import these.
if TYPE_CHECKING:
    from interp.runtime.stores import default_url, open_store
else:
    __getattr__ = names_later(globals(), {"interp.runtime.stores": ("default_url", "open_store")})
