{#- One text key of several columns. A NULL and the text 'NULL' differ, and so do ('a', 'bc') and ('ab', 'c'). -#}
{% macro surrogate_key(columns) -%}
    to_hex(md5(to_json_string(struct({{ columns | join(', ') }}))))
{%- endmacro %}
