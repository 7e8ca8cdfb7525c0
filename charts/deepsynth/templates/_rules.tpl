{{/*
What the operator may do in a namespace that it watches: what its code does, and nothing more.
operator/deepsynth_operator/kubernetes/permissions.py is the same table; a test compares them.
*/}}
{{- define "deepsynth.rules" -}}
- apiGroups: [deepsynth.io]
  resources: [datasetgenerations, trainingruns]
  verbs: [get, list, watch]
- apiGroups: [deepsynth.io]
  resources: [datasetgenerations/status, trainingruns/status]
  verbs: [update]
# Children name their owner with blockOwnerDeletion, which asks for the right to set the owner's finalizers.
- apiGroups: [deepsynth.io]
  resources: [datasetgenerations/finalizers, trainingruns/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.reportsThroughApiServer }}
- apiGroups: [""]
  resources: [pods/proxy]
  verbs: [get]
{{- end }}
{{- end }}

{{- define "deepsynth.nodeRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get]
{{- end }}

{{/* roleRef and subjects of a binding. Takes (list ROOT KIND NAME). */}}
{{- define "deepsynth.binding" -}}
{{- $root := index . 0 -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ index . 2 }}
subjects:
  - kind: ServiceAccount
    name: {{ include "deepsynth.serviceAccountName" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
