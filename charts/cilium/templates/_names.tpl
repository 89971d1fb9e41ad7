{{- define "cilium.labels" -}}
app.kubernetes.io/part-of: cilium
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "cilium.image" -}}
{{- $i := .image -}}
{{- if $i.override }}{{ $i.override }}
{{- else }}{{ $i.repository }}{{ .suffix }}:{{ $i.tag | default .chart.AppVersion }}{{ with $i.digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- define "cilium.agentImage" -}}
{{ include "cilium.image" (dict "image" .Values.image "suffix" "" "chart" .Chart) }}
{{- end }}

{{- define "cilium.operatorImage" -}}
{{ include "cilium.image" (dict "image" .Values.operator.image "suffix" (printf "-generic%s" .Values.operator.image.suffix) "chart" .Chart) }}
{{- end }}

{{- define "cilium.envoyImage" -}}
{{ include "cilium.image" (dict "image" .Values.envoy.image "suffix" "" "chart" .Chart) }}
{{- end }}

{{- define "cilium.apiServer" -}}
{{- with .Values.k8sServiceHost }}
- { name: KUBERNETES_SERVICE_HOST, value: {{ . | quote }} }
{{- end }}
{{- with .Values.k8sServicePort }}
- { name: KUBERNETES_SERVICE_PORT, value: {{ . | quote }} }
{{- end }}
{{- end }}
