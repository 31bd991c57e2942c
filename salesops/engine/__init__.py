"""The machinery from parameters to published reports; it knows no analysis by name.

``catalog`` finds the reports, ``schema`` and ``parameters`` read what they take, ``execute``
runs a notebook, ``figures`` and ``deals`` collect its numbers, ``publish`` renames the result into
place, ``index`` lists what is there, and ``run`` puts the steps in order.
"""

import sys

# nbformat imports jsonschema, and that builds from this package, where it is installed, a grammar of internationalised
# addresses: a second of processor time in every process, to check a format that no schema of notebooks names. To
# jsonschema it is optional: with this entry its import fails, and everything else is checked as before.
sys.modules.setdefault("rfc3987_syntax", None)
