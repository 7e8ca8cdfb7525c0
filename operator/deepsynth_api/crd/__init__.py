"""From the pydantic resources to the CRDs: the schema, the CEL rules on it, and the generated files.

Rules that the API server checks belong here. Types and their field descriptions are in `v1alpha1`.
"""
