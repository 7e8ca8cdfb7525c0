{{/*
Labels and annotations of an object. Takes a dict: root, and optional labels and annotations of this object, and `own`: labels
instead of those of the operator's objects.
The chart's own labels override others, because selectors rely on them.
*/}}
{{- define "deepsynth.metadata" -}}
{{- $own := default (include "deepsynth.labels" .root | fromYaml) .own -}}
labels:
  {{- merge (dict) $own (default dict .labels) .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Metadata of the generated CustomResourceDefinitions. */}}
{{- define "deepsynth.crdMetadata" -}}
{{- $keep := .Values.crds.keep | ternary (dict "helm.sh/resource-policy" "keep") dict }}
{{- include "deepsynth.metadata" (dict "root" . "annotations" $keep) }}
{{- end }}
