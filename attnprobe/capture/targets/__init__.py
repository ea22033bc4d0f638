"""One file per attention API; the file is the registration.

A file has `MODULES`, the modules after whose import it wants to act, and
`install(module, watch)`, which replaces the module's callables by watched ones.
"""
