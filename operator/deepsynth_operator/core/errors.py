"""What can go wrong between the controller and the API server.

ControllerError
  Conflict        the object changed since it was read: reconcile again
  ForeignChild    another owner's object has the child's name: wait until it is gone
  NamespaceGoing  the namespace is being deleted: nothing can be created there
  ClusterError    the API server did not do it: retry later
KindMissing   its CRD is not installed: wait until it is, and say so on the resource
Refused       it never will as the request is (403, 422): shown on the resource
LeadershipLost  nothing was sent, because another process may lead: this one ends
NotPermitted  the operator lacks a right (403): not the resource's fault, an administrator must grant it
"""


class ControllerError(Exception):
    """Base class; the message can be logged as it is."""


class Conflict(ControllerError):  # noqa: N818 - named after HTTP 409 Conflict
    """The object no longer has the resourceVersion or uid that the write named."""


class ForeignChild(ControllerError):  # noqa: N818 - names the object that is in the way
    """An object with the child's name belongs to another owner, usually a deleted resource of the same name."""


class NamespaceGoing(ControllerError):  # noqa: N818 - a state of the namespace, not a mistake
    """The namespace is being deleted together with the resource. Nothing is wrong with the resource."""


class ClusterError(ControllerError):
    """The API server could not be reached, or answered 5xx or 429."""


class LeadershipLost(ClusterError):  # noqa: N818 - a state of this process
    """The lease was not renewed in time, or another process has it, so this one may no longer act."""


class KindMissing(ControllerError):  # noqa: N818 - says what the API server lacks
    """The API server does not have the kind of a child, because its CRD is not installed."""


class Refused(ClusterError):  # noqa: N818 - says what the API server did
    """The API server answered 403 or 422: quota, admission policy or invalid manifest."""


class NotPermitted(ClusterError):  # noqa: N818 - says what the operator is
    """The API server answered 403 because the operator's Role does not match the chart's."""
