{{- /* The manager's image. */}}
{{- define "job-handler.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* Flags as arguments; a list gives a flag several times. */}}
{{- define "job-handler.flags" -}}
{{- $args := list }}
{{- range $name, $value := . }}
{{- range kindIs "slice" $value | ternary $value (list $value) }}
{{- $args = append $args (printf "--%s=%v" $name .) }}
{{- end }}
{{- end }}
{{- toYaml $args }}
{{- end }}

{{- /* What pods of hooks run with, after the manager's container. */}}
{{- define "job-handler.hookPod" -}}
restartPolicy: Never
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "job-handler.hookContainer" -}}
image: {{ include "job-handler.image" . | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
env:
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
