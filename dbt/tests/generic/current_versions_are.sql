{#- What holds now is what there is now: the same keys, each once, and the same `value` if given. -#}
{% test current_versions_are(model, rows, key, value=none) %}

with

versions as (

    select
        {{ key }},
        {{ value or '1' }} as found
    from {{ model }}
    where is_current

),

wanted as (

    select
        {{ key }},
        {{ value or '1' }} as expected
    from {{ rows }}

)

select
    {{ key }},
    wanted.expected,
    versions.found
from wanted
full outer join versions using ({{ key }})
where
    versions.found is distinct from wanted.expected

union all

select
    {{ key }},
    null as expected,
    null as found
from versions
group by {{ key }}
having count(*) > 1

{% endtest %}
