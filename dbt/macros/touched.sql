{#-
  What has to be built again: the months in which rows may have changed since this model was last built. The two ledgers
  say it, so nothing searches a table that grows: a load names the partitions that it touched, and a model, before it
  writes, the months that it will (`log_touched`). What a ledger does not say is looked for, or all is built anew: so it
  is where the model's code has changed, or a seed that it reads (`fingerprint`).

  Args:
    loads: dataset id → its raw table, and the partition column of it.
    builds: Names of the models whose touched months are this one's.
    children: Of a fact whose rows lie in the months of their orders: its dataset id and its key here, and the dataset id of
      the orders, its parents. The months are then also those of the orders that the changed rows belong to now, and those
      in which they lie here.
    also: A question for more of them, with __since__ where it needs the moment from which changes count.

  Returns: a dictionary.
    months: First days of the months, as texts; none: all of them.
    days: dataset id → first days of the partitions that were touched, as texts; none where `months` is.
    note: A comment for the statement, from which the hooks and the MERGE take both.
-#}
{% macro touched(loads={}, builds=[], children=none, also=none) -%}
    {%- if not execute or model.resource_type != 'model' -%}
        {{ return({'months': none, 'days': none, 'note': ''}) }}
    {%- endif -%}
    {%- set asked = run_query(ledgers_since(loads, builds)) -%}
    {%- set said = namespace(as_of=none, since=none, whole=should_full_refresh()) -%}
    {%- set months, unknown, days = [], {}, {} -%}
    {%- for id in loads -%}{%- do days.update({id: []}) -%}{%- endfor -%}
    {%- for row in asked.rows -%}
        {%- set kind, name, found = row[0], row[1], row[2] -%}
        {%- if kind == 'as_of' -%}{%- set said.as_of = found -%}
        {%- elif kind == 'since' -%}{%- set said.since = found -%}
        {%- elif found == 'all' -%}{%- set said.whole = true -%}
        {%- elif kind == 'month' -%}{%- do months.append(found) -%}
        {%- else -%}
            {%- set starts = {'unknown': []} if found == 'unknown' else fromjson(found) -%}
            {%- if starts and loads[name].column not in starts -%}
                {%- do unknown.update({name: [row[3], unknown.get(name, row[3])] | min}) -%}
            {%- endif -%}
            {%- for start in starts.get(loads[name].column, []) if start -%}
                {%- do days[name].extend(days_of(start)) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if said.whole or said.since is none or load_cached_relation(this) is none -%}
        {{ return({'months': none, 'days': none, 'note': '-- touched all as of ' ~ said.as_of}) }}
    {%- endif -%}
    {%- for id, since in unknown.items() -%}
        {%- do days[id].extend(dates_of(days_merged_since(loads[id], since))) -%}
    {%- endfor -%}
    {%- for id in loads if not (children and id == children.dataset) -%}{%- do months.extend(days[id]) -%}{%- endfor -%}
    {%- if children -%}
        {%- set raw, parents = loads[children.dataset], loads[children.parents].table -%}
        {%- do months.extend(dates_of(months_of_children(raw, days[children.dataset], children, parents))) -%}
    {%- endif -%}
    {%- if also -%}{%- do months.extend(dates_of(also | replace('__since__', said.since))) -%}{%- endif -%}
    {%- set firsts = [] -%}
    {%- for date in months -%}{%- do firsts.append(date[:8] ~ '01') -%}{%- endfor -%}
    {%- set firsts = firsts | unique | sort -%}
    {{ return({'months': firsts, 'days': days, 'note': '-- touched ' ~ firsts | join(' ') ~ ' as of ' ~ said.as_of}) }}
{%- endmacro %}

{#- One question to both ledgers. The look-backs are for what was committed later than it says. -#}
{% macro ledgers_since(loads, builds) -%}
    with mark as (
        select
            max(logged_at) as built_at,
            timestamp_sub(max(logged_at), interval {{ var('merge_lookback_hours') }} hour) as since,
            timestamp_sub(max(logged_at), interval {{ var('build_lookback_hours') }} hour) as builds_since
        from {{ source('tideline', 'build_ledger') }}
        where
            model = '{{ this.identifier }}'
            and event = 'built'
            and fingerprint = '{{ fingerprint() }}'
            and {{ remembered('logged_at') }}
    )

    select 'as_of' as kind, '' as name, cast(current_timestamp() as string) as found, '' as since
    union all
    select 'since', '', cast(since as string), '' from mark where since is not null
    {% if builds -%}
    union all
    select distinct 'month', '', coalesce(cast(builds.month as string), 'all'), ''
    from {{ source('tideline', 'build_ledger') }} as builds
    cross join mark
    left join {{ source('tideline', 'build_ledger') }} as ends
        on
            builds.model = ends.model
            and builds.logged_at = ends.logged_at
            and ends.event = 'built'
            and {{ remembered('ends.logged_at') }}
    where
        builds.event = 'touched'
        and builds.model in ('{{ builds | join("', '") }}')
        and builds.logged_at >= mark.builds_since
        and {{ remembered('builds.logged_at') }}
        -- what had ended before this model was last built was taken in then
        and (ends.finished_at is null or ends.finished_at >= mark.built_at)
    {%- endif %}
    {% if loads -%}
    union all
    select
        'load',
        concat(source, '.', dataset),
        coalesce(partitions, if(mode = 'replay', 'all', 'unknown')),
        cast(least(extracted_at, mark.since) as string)
    from {{ source('tideline', 'load_ledger') }} cross join mark
    where
        concat(source, '.', dataset) in ('{{ loads | join("', '") }}')
        and committed_at >= mark.since
        and {{ remembered('committed_at') }}
    {%- endif %}
{%- endmacro %}

{#- Leaves the older days of a ledger unread; a model that was last built before them is built anew. -#}
{% macro remembered(column) -%}
    {{ column }} >= timestamp_sub(current_timestamp(), interval {{ var('remembered_days') }} day)
{%- endmacro %}

{#- Of a load that does not say which partitions it touched. -#}
{% macro days_merged_since(raw, since) -%}
    select distinct date({{ raw.column }}) as found
    from {{ raw.table }}
    where _merged_at >= timestamp '{{ since }}'
{%- endmacro %}

{% macro months_of_children(raw, days, children, parents) -%}
    with changed as (
        select id, order_id
        from {{ raw.table }}
        where {{ within(raw.column, days, kind='timestamp', or_null=true) }}
    )

    select distinct orders.order_date as found
    from {{ parents }} as orders
    inner join changed on orders.id = changed.order_id
    union distinct
    select distinct built.order_date as found
    from {{ this }} as built
    inner join changed on built.{{ children.key }} = changed.id
{%- endmacro %}

{#- The days of a partition that begins with a year, a month, a day or an hour. -#}
{% macro days_of(start) -%}
    {%- set days, first = [], modules.datetime.date.fromisoformat((start ~ '-01-01')[:10]) -%}
    {%- for number in range({4: 366, 7: 31}.get(start | length, 1)) -%}
        {%- set day = (first + modules.datetime.timedelta(days=number)).isoformat() -%}
        {%- if day.startswith(start[:10]) -%}{%- do days.append(day) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(days) }}
{%- endmacro %}

{% macro dates_of(query) -%}
    {%- set found = [] -%}
    {%- for row in run_query(query).rows if row[0] is not none -%}{%- do found.append(row[0] | string) -%}{%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
