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
