{{/*
What the operator may do: what its code does, and nothing more.
Written by `make chart-rules` from operator/deepsynth_operator/kubernetes/api/permissions.py. Do not edit.
*/}}
{{- define "deepsynth.rules" -}}
# watched, and read before acting
- apiGroups: [deepsynth.io]
  resources: [datasetgenerations, trainingruns]
  verbs: [get, list, watch]
# the only write on users' objects
- apiGroups: [deepsynth.io]
  resources: [datasetgenerations/status, trainingruns/status]
  verbs: [update]
# children name their owner with blockOwnerDeletion, which asks for this right
- apiGroups: [deepsynth.io]
  resources: [datasetgenerations/finalizers, trainingruns/finalizers]
  verbs: [update]
# steps and attempts; patch is for parallelism, deadlines, queues, and to suspend a queued Job
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# how many pods use the quota of a queued generation, for its queue
- apiGroups: [batch]
  resources: [jobs/status]
  verbs: [patch]
# exit codes, and where reports are read
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# DNS names of an attempt's pods; get only to see who owns one
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, delete]
# workload documents; get only to see who owns one
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, delete]
# patch counts a repeated Event
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.reportsThroughApiServer }}
# reports are read through the API server
- apiGroups: [""]
  resources: [pods/proxy]
  verbs: [get]
{{- end }}
{{- if .Values.jobs.networkPolicy.enabled }}
# who may reach the pods of a resource; get only to see who owns one
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, patch]
{{- end }}
{{- if .Values.rbac.readWorkloads }}
# why a queued Job waits; the list is that of one Job's label
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end }}
{{- if has "volcano" (values .Values.jobs.gangSchedulers) }}
# the pods that a gang scheduler starts together
- apiGroups: [scheduling.volcano.sh]
  resources: [podgroups]
  verbs: [get, create, delete]
{{- end }}
{{- if has "coscheduling" (values .Values.jobs.gangSchedulers) }}
# the pods that a gang scheduler starts together
- apiGroups: [scheduling.x-k8s.io]
  resources: [podgroups]
  verbs: [get, create, delete]
{{- end }}
{{- if has "kubernetes-v1alpha2" (values .Values.jobs.gangSchedulers) }}
# the pods that a gang scheduler starts together
- apiGroups: [scheduling.k8s.io]
  resources: [podgroups]
  verbs: [get, create, delete]
{{- end }}
{{- if has "kubernetes-v1beta1" (values .Values.jobs.gangSchedulers) }}
# the pods that a gang scheduler starts together
- apiGroups: [scheduling.k8s.io]
  resources: [podgroups]
  verbs: [get, create, delete]
{{- end }}
{{- end }}

{{- define "deepsynth.nodeRules" -}}
# to see whether the node of a pod that does not end is lost
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
{{- end }}

{{- define "deepsynth.leaseRules" -}}
# the process that holds the Lease leads
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end }}

{{/*
The resources that users create, for a rule about them. From operator/deepsynth_api/kinds.py.
*/}}
{{- define "deepsynth.resources" -}}
apiGroups: [deepsynth.io]
resources: [datasetgenerations, trainingruns]
{{- end }}
