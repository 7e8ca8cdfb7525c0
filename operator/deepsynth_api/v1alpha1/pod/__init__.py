"""spec.template: what a user may set on pods, with limits on the size of every field."""
