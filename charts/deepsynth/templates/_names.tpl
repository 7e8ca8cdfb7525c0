{{- define "deepsynth.fullname" -}}
{{- $default := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- default $default .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of cluster-scoped objects. It contains the namespace, so that releases with the same name do not collide. */}}
{{- define "deepsynth.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "deepsynth.fullname" .) }}
{{- end }}

{{- define "deepsynth.serviceAccountName" -}}
{{- default (.Values.serviceAccount.create | ternary (include "deepsynth.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{/* A Deployment's selector is immutable: do not add anything here that a user or an upgrade may change. */}}
{{- define "deepsynth.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "deepsynth.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "deepsynth.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: deepsynth
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "deepsynth.dashboardName" -}}
{{- printf "%s-dashboard" (include "deepsynth.fullname" . | trunc 53 | trimSuffix "-") }}
{{- end }}

{{/* Another name than that of the operator's pods, which the operator's Service and policies select by it. */}}
{{- define "deepsynth.dashboardSelectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-dashboard
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "deepsynth.dashboardLabels" -}}
{{- $own := merge (dict "app.kubernetes.io/component" "dashboard") (include "deepsynth.dashboardSelectorLabels" . | fromYaml) }}
{{- merge $own (include "deepsynth.labels" . | fromYaml) | toYaml }}
{{- end }}

{{/* Selects the pods of all Jobs. */}}
{{- define "deepsynth.workloadLabels" -}}
app.kubernetes.io/managed-by: deepsynth-operator
{{- end }}

{{/* Takes (list ROOT IMAGE). */}}
{{- define "deepsynth.image" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- $registry := default $root.Values.images.registry $image.registry }}
{{- $repository := $registry | empty | ternary $image.repository (printf "%s/%s" $registry $image.repository) }}
{{- $tag := default $root.Chart.AppVersion $image.tag }}
{{- $image.digest | empty | ternary (printf "%s:%s" $repository $tag) (printf "%s@%s" $repository $image.digest) }}
{{- end }}

{{/* Who may read the reports of pods, as JSON for a NetworkPolicy's `from`. Empty means everyone. */}}
{{- define "deepsynth.reportPeers" -}}
{{- $peers := list }}
{{- if .Values.reportsThroughApiServer }}
{{- range .Values.networkPolicy.apiServerCIDRs }}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}
{{- end }}
{{- else }}
{{- $namespace := dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace) }}
{{- $pod := dict "matchLabels" (include "deepsynth.selectorLabels" . | fromYaml) }}
{{- $peers = append $peers (dict "namespaceSelector" $namespace "podSelector" $pod) }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled (not .Values.jobs.networkPolicy.reportsFrom) }}
{{- fail "metrics.podMonitor.enabled with jobs.networkPolicy.enabled needs jobs.networkPolicy.reportsFrom: name the pods of Prometheus, which otherwise cannot reach the pods of Jobs" }}
{{- end }}
{{- $peers = concat $peers .Values.jobs.networkPolicy.reportsFrom }}
{{- $peers | empty | ternary "[]" (toJson $peers) }}
{{- end }}

{{/* Whether the operator gets files: a ConfigMap with defaults for Jobs, with prices. */}}
{{- define "deepsynth.hasFiles" -}}
{{- if or .Values.jobs.defaults .Values.prices.entries }}true{{ end }}
{{- end }}

{{/* Egress of a NetworkPolicy to DNS and to the API server. */}}
{{- define "deepsynth.apiServerEgress" -}}
# Some clusters use a name as the API server's address. DNS caches on nodes have no pods to select, so allow all.
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - port: {{ . }}
    {{- end }}
  {{- with .Values.networkPolicy.apiServerCIDRs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* Whether the cluster chooses the users of pods. */}}
{{- define "deepsynth.isOpenShift" -}}
{{- if eq (toString .Values.openshift) "auto" }}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}true{{ end }}
{{- else if .Values.openshift }}true{{ end }}
{{- end }}

{{/* Security context of the pods of the operator and the dashboard. */}}
{{- define "deepsynth.podSecurityContext" -}}
{{- if include "deepsynth.isOpenShift" . }}
{{- toYaml (omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup") }}
{{- else }}
{{- toYaml .Values.podSecurityContext }}
{{- end }}
{{- end }}
