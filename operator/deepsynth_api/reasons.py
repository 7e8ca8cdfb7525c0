"""Every reason that a resource, an Event or an error of DeepSynth can carry, with its meaning and its remedy."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """One CamelCase word: a condition's or an Event's `reason`, why an attempt or a Job ended, why a row was dropped.

    The words are API: monitoring and scripts compare them, so a word is never renamed.
    `docs/reference/reasons.md` lists them.

        >>> Reason("NodeLost").meaning
        'The node of a pod does not answer.'

    A reason in a cluster need not be one of these, so read it as a plain string. Conditions, attempts, Jobs and Events
    also pass on words of others: of the kubelet (`UnexpectedAdmissionError`), of the Job controller
    (`PodFailurePolicy`), of the component that disrupts a pod, and of the report that a user's own image writes.
    """

    meaning: str
    """One sentence: what has happened."""
    remedy: str
    """One imperative sentence: what to do about it. Empty where there is nothing to do."""

    def __new__(cls, value: str, meaning: str, remedy: str = "") -> Self:
        reason = str.__new__(cls, value)
        reason._value_, reason.meaning, reason.remedy = value, meaning, remedy
        return reason

    # Waiting: the resource has not started, or is between two Jobs.

    DATASET_NOT_FOUND = (
        "DatasetNotFound",
        "The run waits for a DatasetGeneration that does not exist.",
        "Apply the DatasetGeneration, or fix its name in spec.datasets.",
    )
    DATASET_NOT_COMPLETE = "DatasetNotComplete", "The run waits for a DatasetGeneration that is not Complete yet."
    DATASET_FAILED = (
        "DatasetFailed",
        "The run waits for a DatasetGeneration that has failed.",
        "Fix the DatasetGeneration, then delete and re-apply it.",
    )
    DATASETS_TOO_LONG = (
        "DatasetsTooLong",
        "Names and URIs of spec.datasets do not fit into the status together.",
        "Create the run again with shorter URIs or fewer datasets.",
    )
    MODEL_NOT_FOUND = (
        "ModelNotFound",
        "The run waits for a TrainingRun that does not exist.",
        "Apply the TrainingRun, or fix its name in spec.model.trainingRunRef.",
    )
    MODEL_NOT_COMPLETE = (
        "ModelNotComplete",
        "The run waits for a TrainingRun that is not Complete, or has no such checkpoint, yet.",
    )
    MODEL_FAILED = (
        "ModelFailed",
        "The run waits for a TrainingRun that has failed, or whose checkpoints it cannot start from.",
        "Fix the TrainingRun, so that it continues, or re-apply it; or set spec.model.trainingRunRef to what it has.",
    )
    WAITING_FOR_PODS = "WaitingForPods", "The next Job waits until the pods of the last one have saved and stopped."
    QUEUED = "Queued", "The Job is suspended until its queue admits it.", "Look at the Workload of the Job (Kueue)."
    QUOTA_EXCEEDED = (
        "QuotaExceeded",
        "The queue has less unused quota than the Job needs.",
        "Wait for other Jobs, or lower the Job's resources if it needs more than the queue ever has.",
    )
    QUEUE_NOT_FOUND = (
        "QueueNotFound",
        "The LocalQueue or the ClusterQueue of the Job does not exist.",
        "Create it, or change the label kueue.x-k8s.io/queue-name of the resource.",
    )
    QUEUE_STOPPED = "QueueStopped", "An administrator has stopped the queue.", "Wait, or ask for its stopPolicy."
    DEACTIVATED_BY_QUEUE = (
        "DeactivatedByQueue",
        "The queue has given up on the Job, or somebody has set its Workload to inactive.",
        "Fix what kept its pods from running, then set spec.active of the Workload to true.",
    )
    WORKLOAD_MISSING = (
        "WorkloadMissing",
        "The queue has not taken the Job into account.",
        "See the Events of the Job, and check that its WorkloadPriorityClass exists.",
    )
    REQUEUED_BY_QUEUE = "RequeuedByQueue", "The queue evicted the Job; the Job runs again when it is admitted."
    SUSPENDED_BY_USER = "SuspendedByUser", "A user set spec.suspend to true.", "Set spec.suspend to false to continue."

    # Starting: the Job exists, and its pods are not at work yet.

    CREATING_JOB = "CreatingJob", "The Job is being created."
    POD_GROUPS_MISSING = (
        "PodGroupsMissing",
        "The API server does not have the PodGroups of the run's gang scheduler.",
        "Install the CRD of the gang scheduler; the run then starts by itself.",
    )
    STARTING = "Starting", "The pods are starting."
    PODS_NOT_CREATED = (
        "PodsNotCreated",
        "For a minute, Kubernetes has created no pod for the Job: a quota or an admission policy rejects them.",
        "Run `kubectl describe job`: its Events name the quota or the policy. Once it allows the pods, they start.",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        "No node has room for a pod; the message holds the scheduler's words.",
        "Free or add nodes, or lower the requests of a suspended TrainingRun or of a new DatasetGeneration.",
    )
    CONTAINER_CREATING = (
        "ContainerCreating",
        "The kubelet has prepared a pod's container for more than five minutes.",
        "Run `kubectl describe pod`: the image is large, or a volume, Secret or ConfigMap is missing.",
    )
    POD_INITIALIZING = (
        "PodInitializing",
        "A pod's init containers have run for more than five minutes.",
        "Run `kubectl describe pod`, and read the logs of the init containers.",
    )
    IMAGE_PULL_BACK_OFF = (
        "ImagePullBackOff",
        "The image cannot be pulled.",
        "Push the image, or fix its name or the pull Secret.",
    )
    INVALID_IMAGE_NAME = "InvalidImageName", "The image's name cannot be parsed.", "Fix spec.image."
    ERR_IMAGE_NEVER_PULL = (
        "ErrImageNeverPull",
        "The image is not on the node, and its pull policy is Never.",
        "Load the image onto the nodes, or change the policy that sets `imagePullPolicy: Never`.",
    )
    IMAGE_INSPECT_ERROR = (
        "ImageInspectError",
        "The container runtime cannot read the image.",
        "Look at the node's container runtime, and remove the image from the node.",
    )
    REGISTRY_UNAVAILABLE = "RegistryUnavailable", "The image registry does not answer.", "Check the registry."
    CREATE_CONTAINER_CONFIG_ERROR = (
        "CreateContainerConfigError",
        "A Secret or ConfigMap that the pod needs is missing.",
        "Create it within spec.startTimeoutSeconds; later, raise backoffLimit of the run, or re-apply the generation.",
    )
    CREATE_CONTAINER_ERROR = (
        "CreateContainerError",
        "The container runtime cannot create the container.",
        "Run `kubectl describe pod`, and look at the node's container runtime.",
    )
    RUN_CONTAINER_ERROR = (
        "RunContainerError",
        "The container runtime cannot start the container.",
        "Run `kubectl describe pod`, and look at the node's container runtime.",
    )

    # Working and ended well. The words of a DatasetGeneration's steps are also its states.

    RUNNING = "Running", "All processes are training."
    PLANNING = "Planning", "The plan Job reads the source."
    RENDERING = "Rendering", "The render Job draws the pages."
    PUBLISHING = "Publishing", "The publish Job writes the dataset to spec.output."
    DATASETS_PINNED = "DatasetsPinned", "The revision of every dataset is fixed; all attempts read the same data."
    PUBLISHED = "Published", "The dataset or the model is published."
    NOT_PUBLISHED = "NotPublished", "Nothing is published yet, or spec.publish is not set."
    NOT_FAILED = "NotFailed", "The resource has not failed."
    NOT_STALLED = "NotStalled", "The resource has not failed."
    NOT_SUSPENDED = "NotSuspended", "The resource is not suspended."
    SUCCEEDED = "Succeeded", "The attempt, the Job or the run has done all its work."

    # Disruptions: the attempt or the Job ended through no fault of its own, is repeated and never counts as a failure.

    EVICTED = "Evicted", "A pod was evicted, for example because its node is drained."
    PREEMPTED = "Preempted", "The scheduler removed a pod to make room for one of higher priority."
    NODE_LOST = "NodeLost", "The node of a pod does not answer.", "Look at the node."
    TERMINATED_BY_NODE = "TerminatedByNode", "The kubelet stopped a pod: the node shuts down or lacks resources."
    POD_DELETED = "PodDeleted", "A pod was deleted."
    POD_DISRUPTED = "PodDisrupted", "A pod was disrupted, and Kubernetes does not say why."
    JOB_DELETED = "JobDeleted", "The Job was deleted."
    PLAN_ENDED = "PlanEnded", "A Job rendered while the plan step read; that has ended, or reads another source now."
    STOPPED = "Stopped", "A pod or a worker process was stopped by SIGTERM."
    PEER_LOST = "PeerLost", "A process lost the connection to the others, and its own pod is not the cause."
    CHECKPOINT_OWNER_LOST = "CheckpointOwnerLost", "A newer attempt or another run took over the checkpoint folder."
    FEWER_NODES = (
        "FewerNodes",
        "Not all pods found a node within spec.elastic.scaleDownAfterSeconds; the next attempt has fewer pods.",
        "Free or add nodes; the run returns to spec.numNodes by itself.",
    )
    SCALE_UP = "ScaleUp", "The run worked with fewer pods for a while and stopped to try spec.numNodes again."
    NOT_STARTED = (
        "NotStarted",
        "Not all pods ran within spec.startTimeoutSeconds.",
        "Use a queue that starts all pods together, or raise spec.startTimeoutSeconds.",
    )
    REPORT_LOST = (
        "ReportLost",
        "A Job succeeded, but its report is missing; after three in a row the resource fails.",
        "Use an image of the operator's own version.",
    )

    # Failures of an attempt or a pod. Repeated, up to spec.backoffLimit or spec.backoffLimitPerIndex.

    TEMPORARY_FAILURE = "TemporaryFailure", "Exit code 75: another attempt may succeed."
    NON_ZERO_EXIT = (
        "NonZeroExit",
        "A container ended with an exit code that is not one of DeepSynth's.",
        "Read the pod's log.",
    )
    OUT_OF_MEMORY = (
        "OutOfMemory",
        "The memory of the pod or of the GPU is full; if the GPU's is full twice after the same step, the run fails.",
        "Raise the memory limit; for the GPU lower spec.microBatchSize, or set spec.gradientCheckpointing.",
    )
    HUNG = (
        "Hung",
        "No step ended within spec.hangTimeoutSeconds.",
        "Look at the node of the attempt, and at the stacks of all processes in the log or next to the checkpoints.",
    )
    DISK_FULL = "DiskFull", "A volume has no space left.", "Enlarge the volume, or delete what is no longer needed."
    HUB_UNREACHABLE = (
        "HubUnreachable",
        "No connection to the Hub could be opened for minutes.",
        "Check HF_ENDPOINT, network policies and proxies.",
    )
    HUB_UNAVAILABLE = (
        "HubUnavailable",
        "The Hub did not answer for minutes, or with errors, rate limits or what another server or a proxy says.",
        "Try again later. If the message speaks of an answer that cannot be understood, check HF_ENDPOINT and proxies.",
    )
    STORE_UNREACHABLE = (
        "StoreUnreachable",
        "No connection to the object store could be opened for minutes.",
        "Check the endpoint in the Secret, network policies and proxies.",
    )
    STORE_UNAVAILABLE = (
        "StoreUnavailable",
        "The object store did not answer for minutes, or with errors, rate limits or what a proxy says.",
        "Try again later. If the message speaks of an answer that cannot be understood, check endpoint and proxies.",
    )
    CHECKPOINT_NOT_SAVED = (
        "CheckpointNotSaved",
        "A checkpoint could not be written.",
        "Make room in the checkpoint volume, or lower spec.checkpoint.keepLast.",
    )
    UNEXPECTED_ERROR = (
        "UnexpectedError",
        "An exception that DeepSynth does not know ended a process.",
        "Read the traceback in the pod's log.",
    )
    WORKER_FAILED = "WorkerFailed", "A worker process ended without an error report.", "Read the pod's log."
    WORKER_CRASHED = "WorkerCrashed", "A worker process ended by a signal, such as SIGSEGV.", "Read the pod's log."
    WORKER_KILLED = (
        "WorkerKilled",
        "A worker process was killed by SIGKILL.",
        "Raise the memory limit or lower spec.microBatchSize, if memory ran out.",
    )
    WORKER_NOT_STOPPED = "WorkerNotStopped", "A worker process did not end in time and was killed."
    WORKLOAD_FAILED = "WorkloadFailed", "A workload failed without a more precise reason.", "Read the message."

    # Verdicts: the resource is Failed, and there is no further attempt or Job.

    BACKOFF_LIMIT_EXCEEDED = (
        "BackoffLimitExceeded",
        "More attempts failed than spec.backoffLimit allows; the message holds the last one's error.",
        "Fix that error: the run continues with a changed setting; raise spec.backoffLimit if the cause was elsewhere.",
    )
    NO_PROGRESS = (
        "NoProgress",
        "Ten attempts in a row saved no checkpoint, or ten Jobs in a row finished no shard.",
        "Lower spec.checkpoint.everySeconds, or find out why no attempt lasts.",
    )
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        "The resource did not finish within spec.activeDeadlineSeconds.",
        "Raise spec.activeDeadlineSeconds: a TrainingRun then continues. Delete and re-apply a DatasetGeneration.",
    )
    SHARDS_FAILED = (
        "ShardsFailed",
        "Some shards failed, so nothing is published; the message holds the last error.",
        "Fix that error, then delete and re-apply the resource; finished shards are kept.",
    )
    FAILED_INDEXES = "FailedIndexes", "The Job controller ended the Job because some of its shards failed."
    MAX_FAILED_INDEXES_EXCEEDED = (
        "MaxFailedIndexesExceeded",
        "The Job controller ended the Job because too many of its shards failed.",
    )
    POD_FAILURE_POLICY = (
        "PodFailurePolicy",
        "The Job controller ended the Job because of a pod's exit code, and the pod's report is missing.",
        "Read the pod's log.",
    )
    NO_ROWS = (
        "NoRows",
        "The filters dropped every row of the source.",
        "Look at status.progress.dropped, and loosen spec.filters.",
    )
    CREATION_REFUSED = (
        "CreationRefused",
        "A quota, an admission policy or the API server refuses a child of the resource.",
        "Read the API server's words in the message.",
    )

    # Errors of a workload that another attempt would only repeat: exit codes 64, 65 and 70.

    BAD_CONFIGURATION = "BadConfiguration", "Exit code 64: a field or a setting is wrong.", "Fix the named field."
    BAD_DATA = "BadData", "Exit code 65: the data cannot be used.", "Fix the file that the message names."
    INTERNAL_ERROR = "InternalError", "Exit code 70: a defect of DeepSynth.", "Report it with the log of the pod."
    NOT_PERMITTED = (
        "NotPermitted",
        "The pods' user has no access to a folder of a volume.",
        "Change the folder's mode or owner, or set spec.template.runAsUser.",
    )
    HUB_REFUSED = (
        "HubRefused",
        "The Hub refused a request: a token, a right, a repository or an accepted condition is missing.",
        "Fix the Secret or the URI that the message names.",
    )
    STORE_REFUSED = (
        "StoreRefused",
        "The object store refused a request, or cannot do what is needed: credentials, a right or a bucket is missing.",
        "Fix the Secret, the service account or the URI that the message names.",
    )
    DISK_TOO_SMALL = "DiskTooSmall", "A file does not fit on the volume.", "Enlarge the volume."
    CACHE_TOO_SMALL = "CacheTooSmall", "The datasets do not fit into a node's cache.", "Raise spec.cache.sizeLimit."
    CHECKPOINT_FOLDER_IN_USE = (
        "CheckpointFolderInUse",
        "The checkpoint folder belongs to a run with other settings.",
        "Set spec.checkpoint.uri to an empty folder.",
    )
    CHECKPOINT_FOLDER_UNUSABLE = (
        "CheckpointFolderUnusable",
        "A file of the checkpoint folder cannot be read.",
        "Set spec.checkpoint.uri to another folder.",
    )
    CHECKPOINT_DOES_NOT_FIT = (
        "CheckpointDoesNotFit",
        "The checkpoint holds another model.",
        "Set spec.checkpoint.uri to an empty folder.",
    )
    CHECKPOINT_MISSING = (
        "CheckpointMissing",
        "A finished run continues, and its checkpoint folder holds no checkpoint anymore.",
        "Restore the folder, or create a new TrainingRun that starts from the final model.",
    )
    TRACKER_NOT_INSTALLED = (
        "TrackerNotInstalled",
        "The image lacks the package of a tracker.",
        "Build an image with the package, and set spec.image.",
    )
    NON_FINITE_LOSS = (
        "NonFiniteLoss",
        "The loss was NaN or infinite twice at the same step, or for too many steps in a row.",
        "Lower spec.optimizer.learningRate, or set spec.onNonFinite to skip.",
    )
    TOO_MANY_SAMPLES_DROPPED = (
        "TooManySamplesDropped",
        "More samples do not fit the model than spec.maxDroppedPercent allows.",
        "Raise the limit that the message names, or use a model with more room.",
    )
    MISSING_COLUMN = (
        "MissingColumn",
        "The source has no column for the text or the summary.",
        "Name one of its columns in spec.source.columns.",
    )
    DUPLICATE_COLUMN = (
        "DuplicateColumn",
        "The source has several columns of the same name.",
        "Rename all but one, or name another one in spec.source.columns.",
    )
    WRONG_COLUMN_TYPE = (
        "WrongColumnType",
        "A column holds something other than text.",
        "Name another one in spec.source.columns.",
    )
    LICENSE_NOT_ALLOWED = (
        "LicenseNotAllowed",
        "The license of the source is not one of spec.source.requireLicense.",
        "Use another source, or add the license once you have read it.",
    )
    DAMAGED_FILE = "DamagedFile", "A file of the source cannot be parsed.", "Fix the file that the message names."
    EMPTY_DATASET = (
        "EmptyDataset",
        "No document is left to render or to publish.",
        "Look at status.progress.dropped, and loosen spec.filters or change the page.",
    )
    TOO_MANY_ROWS_REFUSED = (
        "TooManyRowsRefused",
        "More documents cannot be drawn than spec.maxRefusedPercent allows, or nearly all rows lack a text or summary.",
        "Set spec.filters.undrawable to replace, change the page or the column as the message says, or raise it.",
    )
    PLAN_MISSING = (
        "PlanMissing",
        "The staged plan was deleted from the output.",
        "Delete and re-apply the resource.",
    )
    SHARD_MISSING = (
        "ShardMissing",
        "A rendered shard was deleted from the output's staging folder.",
        "Delete and re-apply the resource; finished shards are kept.",
    )
    SHARD_DAMAGED = (
        "ShardDamaged",
        "A rendered shard changed in the output's staging folder.",
        "Delete and re-apply the resource; only the damaged shards are rendered again.",
    )

    # Rows that plan or render drops, by `status.progress.dropped` of a DatasetGeneration.

    MISSING_TEXT = "MissingText", "The row has no text."
    MISSING_SUMMARY = "MissingSummary", "The row has no summary."
    INVALID_UNICODE = "InvalidUnicode", "The text or the summary holds characters that UTF-8 cannot encode."
    TEXT_TOO_SHORT = "TextTooShort", "The text is shorter than spec.filters.minTextChars."
    TEXT_TOO_LONG = "TextTooLong", "The text is longer than spec.filters.maxTextChars."
    SUMMARY_TOO_SHORT = "SummaryTooShort", "The summary is shorter than spec.filters.minSummaryChars."
    SUMMARY_TOO_LONG = "SummaryTooLong", "The summary is longer than spec.filters.maxSummaryChars."
    DUPLICATE = "Duplicate", "The text is that of an earlier row."
    NEAR_DUPLICATE = (
        "NearDuplicate",
        "The text is more similar to an earlier row, or one of an earlier dataset, than maxSimilarityPercent allows.",
    )
    EMPTY_DOCUMENT = "EmptyDocument", "The text holds nothing that can be drawn."
    UNSUPPORTED_SCRIPT = "UnsupportedScript", "The text holds a script for which there is no font."
    MISSING_GLYPH = "MissingGlyph", "No font draws one of the characters."
    OVERFLOW = "Overflow", "A word is wider than a column, or ink reaches beyond the page.", "Use a larger page."

    # Files of a source that plan does not read, by `status.plan.skippedFiles` of a DatasetGeneration.

    UNKNOWN_FORMAT = (
        "UnknownFormat",
        "The file's name has none of the suffixes that are read.",
        "Rename it or convert it, if it holds data.",
    )
    OTHER_FORMAT = (
        "OtherFormat",
        "The file's split is also stored in another format, and is read from there.",
        "Convert the files of a split to one format, if they hold different rows.",
    )
    OTHER_SPLIT = "OtherSplit", "The file belongs to a split that spec.source.splits does not list."
    OTHER_CONFIGURATION = (
        "OtherConfiguration",
        "The file belongs to another configuration of the dataset.",
        "Set spec.source.config, or list it in spec.source.configs.",
    )
    NO_SPLIT = (
        "NoSplit",
        "The name of the JSON file says no split, and those of other files do, so it is taken for settings.",
        "Put the name of its split into its name, if it holds data.",
    )
    NOT_IN_CARD = "NotInCard", "The card of the dataset names its files, and not this one."
    LINKED_FOLDER = (
        "LinkedFolder",
        "A link to a folder, which is not followed: it may lead out of the source, or in a circle. Counts as one file.",
        "Copy or mount the folder there, if it holds data.",
    )
    HIDDEN = (
        "Hidden",
        "The name of the file or folder begins with a dot. A folder counts as one file.",
        "Rename it, if it holds data.",
    )
    DEAD_LINK = "DeadLink", "A link that leads nowhere.", "Copy or mount what it leads to, if it holds data."
    SPECIAL_FILE = "SpecialFile", "A pipe, socket or device, which need not end.", "Write its content to a file."
    BEHIND_ROW_LIMIT = "BehindRowLimit", "The files before it hold as many rows as spec.source.maxRowsPerSplit."

    # Samples that do not fit the model, by `status.progress.dropped` of a TrainingRun. Nothing is cut to fit.

    NO_LABEL = "NoLabel", "The document has neither a summary nor a text to learn.", "Give every document one."
    PAGES_MISSING = (
        "PagesMissing",
        "Some pages of the document are missing.",
        "Publish the dataset again, with all pages of its documents.",
    )
    TOO_MANY_PAGES = (
        "TooManyPages",
        "The document has more pages than spec.page.maxPages, or than the model reads.",
        "Raise spec.page.maxPages, or use larger pages, spec.task ocr or a model that reads more pages.",
    )
    LABEL_TOO_LONG = "LabelTooLong", "The label has more tokens than allowed.", "Raise spec.maxLabelTokens."
    SEQUENCE_TOO_LONG = (
        "SequenceTooLong",
        "Pages, prompt and label have more tokens than allowed.",
        "Raise spec.maxSequenceTokens.",
    )

    SIMILAR_TO_EVALUATION = (
        "SimilarToEvaluation",
        "The document is more similar to one that is evaluated on than spec.maxSimilarityPercent allows.",
    )

    # Events that are no conditions. (Complete, Failed, Suspended and DatasetReady are conditions.)

    STEP_STARTED = "StepStarted", "A DatasetGeneration began to plan, render or publish."
    MANY_ROWS_DROPPED = (
        "ManyRowsDropped",
        "A DatasetGeneration is complete with less than half of the rows of its source.",
        "Look at status.progress.dropped; change spec.filters or spec.source.columns if that is not what you want.",
    )
    SETTINGS_CHANGED = (
        "SettingsChanged",
        "The next attempt of a TrainingRun uses a changed spec; a finished run continues.",
    )
    ATTEMPT_STARTED = "AttemptStarted", "A TrainingRun began another attempt, after the first one."
    ATTEMPT_FAILED = "AttemptFailed", "An attempt ended by an error.", "Read its entry in status.attempts."
    ATTEMPT_HUNG = (
        "AttemptHung",
        "An attempt ended because its processes stopped making steps.",
        "Read its entry in status.attempts.",
    )
    ATTEMPT_DISRUPTED = "AttemptDisrupted", "An attempt ended because Kubernetes took a pod or a node away."
    ATTEMPT_SUSPENDED = "AttemptSuspended", "An attempt ended because a user or the queue suspended the run."
    COMPLETE = "Complete", "The resource has done all its work."
    FAILED = "Failed", "The resource has failed.", "Read the reason and the message of its Failed condition."
    SUSPENDED = "Suspended", "The resource is suspended.", "Set spec.suspend to false to continue."
    DATASET_READY = "DatasetReady", "All datasets of the run exist, and their revisions are fixed."
    NOTE = (
        "Note",
        "The trainer reports what it did, or `warning:` and what needs attention, such as a damaged checkpoint.",
    )
    NAME_TAKEN = (
        "NameTaken",
        "An object of another owner has the name of a child.",
        "Delete that object, or rename the resource.",
    )

    NOTIFICATION_FAILED = (
        "NotificationFailed",
        "The administrator's webhook did not accept the news of a resource's end within a day.",
        "See the operator's log for what the webhook answered.",
    )

    # `deepsynth` on the command line.

    NOT_FOUND = "NotFound", "No local run has this name.", "Run `deepsynth get` to see what is there."
