{#- `unique` and `not_null` in one look at the column: it is there in every row, and no two rows have the same. -#}
{% test is_key(model, column_name) %}

select
    {{ column_name }},
    count(*) as row_count
from {{ model }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null

{% endtest %}
