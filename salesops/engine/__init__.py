"""The machinery from parameters to published reports; it knows no analysis by name.

``catalog`` finds the reports, ``schema`` and ``parameters`` read what they take, ``execute``
runs a notebook, ``figures`` and ``deals`` collect its numbers, ``publish`` renames the result into
place, ``index`` lists what is there, and ``run`` puts the steps in order.
"""
