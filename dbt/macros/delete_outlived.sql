{#-
  A post-hook of incremental models that write all rows of a parent at once: where a parent has fewer rows than before,
  those that were not written again carry an older `_built_at` than their siblings, and go. With `within`, among the
  dates that the model names (`merged_dates`): there are no others in which a row was written.
-#}
{% macro delete_outlived(parent, within=none) -%}
    delete from {{ this }} as built
    where
        {{ 'built.' ~ named_dates(within) if within else 'true' }}
        and exists (
            select 1 from {{ this }} as sibling
            where
                {{ 'sibling.' ~ named_dates(within) if within else 'true' }}
                and sibling.{{ parent }} = built.{{ parent }}
                and sibling._built_at > built._built_at
        )
{%- endmacro %}
