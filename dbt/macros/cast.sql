{#-
  dbt casts NULLs to the types of a contract to see what they are called. BigQuery takes no digits in a cast, only in a
  column's declaration.
-#}
{% macro bigquery__cast(field, type) -%}
    cast({{ field }} as {{ modules.re.sub('[(][0-9, ]+[)]', '', type) }})
{%- endmacro %}
