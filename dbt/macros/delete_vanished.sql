{#-
  A post-hook of incremental models, because dbt's merge never deletes: rows whose key its input no longer holds go.
  It looks at what is there rather than at what was deleted since when, so it also repairs.

  Args:
    key: Of the model's rows, or of their parents.
    input: The relation that has what is to stay.
    within: A column of both, where the model names the dates that it looks at (`merged_dates`): it repairs those.
-#}
{% macro delete_vanished(key, input, within=none) -%}
    delete from {{ this }} as built
    where
        {{ 'built.' ~ named_dates(within) if within else 'true' }}
        and not exists (
            select 1 from {{ input }} as input
            where
                {{ 'input.' ~ named_dates(within) if within else 'true' }}
                and input.{{ key }} = built.{{ key }}
        )
{%- endmacro %}
