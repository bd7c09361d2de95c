{#- The model has at least, and at most, so many rows. -#}
{% test row_count(model, at_least=none, at_most=none) %}
    select row_count
    from (select count(*) as row_count from {{ model }}) as counted
    where
        false
        {%- if at_least is not none %}
        or row_count < {{ at_least }}
        {%- endif %}
        {%- if at_most is not none %}
        or row_count > {{ at_most }}
        {%- endif %}
{% endtest %}
