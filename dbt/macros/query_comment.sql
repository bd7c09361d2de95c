{#- What each job is labelled with; values are cut to what BigQuery takes as a label. -#}
{% macro query_comment(node) -%}
    {%- set labels = {'app': 'tideline', 'environment': env_var('TIDELINE_ENVIRONMENT', 'dev')} -%}
    {%- if node is not none -%}
        {%- do labels.update(node=node.name | lower | truncate(63, True, '')) -%}
    {%- endif -%}
    {{ return(tojson(labels)) }}
{%- endmacro %}
