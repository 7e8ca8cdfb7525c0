"""What can go wrong between the controller and the API server.

ControllerError
  Conflict        the object changed since it was read: reconcile again
  ForeignChild    a child's name is taken by another owner's object: wait until it is gone
  NamespaceGoing  the namespace is being deleted: nothing can be created there any more
  ClusterError    the API server did not do it: try again later
    Refused       it never will, as the request stands (403, 422): shown on the resource
    NotPermitted  the operator lacks a right (403): no fault of the resource, an administrator has to give it
"""


class ControllerError(Exception):
    """Base; the message is fit for a log line."""


class Conflict(ControllerError):  # noqa: N818 - named after HTTP 409 Conflict
    """The resourceVersion or uid that a write named is no longer the object's."""


class ForeignChild(ControllerError):  # noqa: N818 - names the thing that stands in the way
    """An object of the name we need belongs to another owner, mostly to a deleted resource of the same name."""


class NamespaceGoing(ControllerError):  # noqa: N818 - a state of the namespace, nobody's mistake
    """The namespace is being deleted and takes the resource along: nothing is wrong with the resource."""


class ClusterError(ControllerError):
    """The API server could not be reached or answered 5xx or 429."""


class Refused(ClusterError):  # noqa: N818 - reads as what the API server did
    """The API server answered 403 or 422: quota, admission policy, or a manifest it finds invalid."""


class NotPermitted(ClusterError):  # noqa: N818 - what the operator is
    """The API server answered 403 because of who asks: the operator's role is not that of its chart."""
