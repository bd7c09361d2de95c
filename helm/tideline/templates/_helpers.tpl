{{/* Labels of everything that is Tideline's own. Call with a component's name in a list: (list . "postgres"). */}}
{{- define "tideline.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: tideline
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "tideline.selector" -}}
app.kubernetes.io/name: tideline
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* A setting as text. Helm has the numbers of a file as floats, and writes those from a million on with an exponent. */}}
{{- define "tideline.setting" -}}
{{- if and (kindIs "float64" .) (eq (toString .) (toString (floor .))) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* repository@digest, else repository:tag. Call with an image's map. */}}
{{- define "tideline.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{/* A component's image: its own where a repository is named, else Airflow's. Call with (list . .Values.demo.image). */}}
{{- define "tideline.imageOf" -}}
{{- $own := index . 1 -}}
{{- include "tideline.image" (ternary $own (index . 0).Values.airflow.images.airflow (not (empty $own.repository))) }}
{{- end }}

{{- define "tideline.connections" -}}
{{- .Values.connections.existingSecret | default .Values.global.tideline.connectionsSecret }}
{{- end }}

{{- define "tideline.podSecurity" -}}
runAsUser: 50000
runAsGroup: 0
runAsNonRoot: true
fsGroup: 0
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tideline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A Secret's value as it is in the cluster, else a fresh random one. Call with (list . secret key length). */}}
{{- define "tideline.kept" -}}
{{- $root := index . 0 -}}
{{- $found := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- if and $found (hasKey $found.data (index . 2)) -}}
{{- index $found.data (index . 2) -}}
{{- else -}}
{{- randAlphaNum (index . 3) | b64enc -}}
{{- end -}}
{{- end }}

{{/* 32 random bytes in URL-safe base64, twice encoded as Secrets are; kept where there is one. */}}
{{- define "tideline.fernet" -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace .Values.secrets.name -}}
{{- if and $found (hasKey $found.data "fernet-key") -}}
{{- index $found.data "fernet-key" -}}
{{- else -}}
{{- randBytes 32 | replace "+" "-" | replace "/" "_" | b64enc -}}
{{- end -}}
{{- end }}

{{/*
A secrets backend as JSON: its class, its arguments with their defaults, those it cannot do without, and the port it is asked on.
Variables and configuration are not asked for: Tideline has none there, and each question takes a round trip.
*/}}
{{- define "tideline.secretsBackend" -}}
{{- $given := .Values.secretsBackend.arguments -}}
{{- $known := dict "arguments" dict "required" list -}}
{{- if eq .Values.secretsBackend.kind "gcp" -}}
{{- $known = dict "class" "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend" "required" (list "project_id")
    "arguments" (dict "connections_prefix" "airflow-connections" "variables_prefix" nil "config_prefix" nil) -}}
{{- else if eq .Values.secretsBackend.kind "aws" -}}
{{- $known = dict "class" "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend" "required" (list "region_name")
    "arguments" (dict "connections_prefix" "airflow/connections" "variables_prefix" nil "config_prefix" nil) -}}
{{- else if eq .Values.secretsBackend.kind "vault" -}}
{{- $known = dict "class" "airflow.providers.hashicorp.secrets.vault.VaultBackend" "required" (list "url" "kubernetes_role")
    "arguments" (dict "connections_path" "airflow/connections" "variables_path" nil "config_path" nil "mount_point" "secret"
      "auth_type" "kubernetes" "kubernetes_jwt_path" "/var/run/secrets/vault/token") -}}
{{- end -}}
{{- $url := get $given "url" | default "https://" | toString -}}
{{- $port := regexFind ":[0-9]+" $url | trimPrefix ":" | default (ternary "80" "443" (hasPrefix "http:" $url)) -}}
{{- $_ := set $known "port" (int $port) -}}
{{- range $name, $value := $given }}{{ $_ := set $known.arguments $name $value }}{{ end -}}
{{- toJson $known -}}
{{- end }}

{{/* What Airflow's pods may reach: names, one another, the small servers of this release, and what the values list. */}}
{{- define "tideline.egress" -}}
- to:  # DNS in a pod, or on the node itself: NodeLocal DNSCache, and GKE's Cloud DNS
    - namespaceSelector: {}
    - ipBlock: {cidr: 169.254.20.10/32}
    - ipBlock: {cidr: 169.254.169.254/32}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
- to: [{podSelector: {matchLabels: {tier: airflow, release: {{ .Release.Name }}}}}]
{{- if .Values.postgres.enabled }}
- to: [{podSelector: {matchLabels: {app.kubernetes.io/component: postgres, app.kubernetes.io/instance: {{ .Release.Name }}}}}]
  ports: [{port: 5432, protocol: TCP}]
{{- end }}
{{- if .Values.demo.enabled }}
- to: [{podSelector: {matchLabels: {app.kubernetes.io/component: demo, app.kubernetes.io/instance: {{ .Release.Name }}}}}]
{{- end }}
{{- if contains "KubernetesExecutor" .Values.airflow.executor }}
- {{ with .Values.networkPolicy.kubernetesApi }}to: {{- toYaml . | nindent 4 }}
  {{ end }}ports: [{port: 443, protocol: TCP}, {port: 6443, protocol: TCP}]
{{- end }}
{{- if .Values.secretsBackend.kind }}
- ports: [{port: {{ (include "tideline.secretsBackend" . | fromJson).port }}, protocol: TCP}]
{{- end }}
{{- with .Values.networkPolicy.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The pod of one task. What it is given is all that it knows: connections and settings, none of Airflow's own secrets. */}}
{{- define "tideline.taskPod" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .name }}
  labels: {tier: airflow, component: worker, release: {{ .release }}}
  annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: "false"}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  serviceAccountName: {{ .serviceAccount }}
  terminationGracePeriodSeconds: {{ .airflow.workers.kubernetes.terminationGracePeriodSeconds | default 300 }}
  securityContext: {{ toJson .airflow.securityContexts.pod }}
  containers:
    - name: base
      image: {{ include "tideline.image" .airflow.images.airflow }}
      imagePullPolicy: {{ .airflow.images.airflow.pullPolicy }}
      securityContext: {{ toJson .airflow.securityContexts.containers }}
      envFrom:
        - configMapRef: {name: tideline-settings}
        {{- with .connections }}
        - secretRef: {name: {{ . | quote }}}
        {{- end }}
      env:
        - {name: AIRFLOW_HOME, value: /opt/airflow}
        - {name: AIRFLOW__CORE__EXECUTOR, value: LocalExecutor}
      resources: {{ toJson .resources }}
      volumeMounts:
        - {name: config, mountPath: /opt/airflow/airflow.cfg, subPath: airflow.cfg, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        - {name: logs, mountPath: /opt/airflow/logs}
        - {name: catalog, mountPath: /opt/airflow/catalog, readOnly: true}
        {{- range .airflow.workers.kubernetes.extraVolumeMounts }}
        - {{ toJson . }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ .airflow.fullnameOverride }}-config}
    - name: catalog
      configMap: {name: tideline-catalog, optional: true}
    - name: tmp
      emptyDir: {sizeLimit: 8Gi}
    - name: logs
      emptyDir: {sizeLimit: 1Gi}
    {{- range .airflow.workers.kubernetes.extraVolumes }}
    - {{ toJson . }}
    {{- end }}
{{- end }}
