{#-
  Hooks of every model: those that know what they touch (`touched`) write it down before they do, and then that they have.
-#}
{% macro log_touched() -%}
    {%- set months = [] -%}
    {%- for month in noted_months() or [] -%}
        {%- do months.append("cast(null as date)" if month == 'all' else "date '" ~ month ~ "'") -%}
    {%- endfor -%}
    {%- if months -%}
        insert into {{ source('tideline', 'build_ledger') }} (model, event, month, logged_at)
        select '{{ this.identifier }}', 'touched', month, current_timestamp()
        from unnest([{{ months | join(', ') }}]) as month
    {%- endif -%}
{%- endmacro %}

{% macro log_built() -%}
    {%- set noted = modules.re.search('-- touched .*as of (.+)', compiled_code or '') -%}
    {%- if noted -%}
        insert into {{ source('tideline', 'build_ledger') }} (model, event, fingerprint, logged_at)
        select '{{ this.identifier }}', 'built', '{{ fingerprint() }}', timestamp '{{ noted.group(1) }}'
    {%- endif -%}
{%- endmacro %}

{#- What a model is made of that no ledger tells: its code, and the seeds that it reads. -#}
{% macro fingerprint() -%}
    {%- set made_of = [model.checksum.checksum] -%}
    {%- for id in model.depends_on.nodes | sort if id.startswith('seed.') -%}
        {%- do made_of.append(graph.nodes[id].checksum.checksum) -%}
    {%- endfor -%}
    {{ return(local_md5(made_of | join(' '))) }}
{%- endmacro %}

{#- The months that `touched` has noted in the statement, or the word all; none where the model knows of none. -#}
{% macro noted_months() -%}
    {%- set noted = modules.re.search('-- touched (.*)as of ', compiled_code or '') -%}
    {{ return(noted.group(1).split() if noted else none) }}
{%- endmacro %}
