"""The CustomResourceDefinitions, generated from the pydantic resources: schema, CEL rules and files.

Rules that the API server checks belong here. Types and the descriptions of their fields are in `v1alpha1`.
"""
