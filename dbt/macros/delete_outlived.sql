{#-
  A post-hook of incremental models that write all rows of a parent at once: where a parent has fewer rows than before,
  those that were not written again carry an older `_built_at` than their siblings, and go.
-#}
{% macro delete_outlived(parent) -%}
    delete from {{ this }} as built
    where exists (
        select 1 from {{ this }} as sibling
        where sibling.{{ parent }} = built.{{ parent }} and sibling._built_at > built._built_at
    )
{%- endmacro %}
