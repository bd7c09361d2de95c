with

days as (

    select day as date_day
    from
        unnest(
            generate_date_array(
                date '{{ var("dates_from") }}', date_add(current_date('UTC'), interval 400 day)
            )
        ) as day

),

numbered as (

    select
        date_day,
        extract(year from date_day) as year_number,
        extract(quarter from date_day) as quarter_of_year,
        extract(month from date_day) as month_of_year,
        extract(day from date_day) as day_of_month,
        -- BigQuery counts from Sunday = 1; a week here begins on Monday = 1
        mod(extract(dayofweek from date_day) + 5, 7) + 1 as day_of_week
    from days

),

final as (

    select
        -- ids
        date_day,

        -- text
        format_date('%B', date_day) as month_name,
        format_date('%A', date_day) as day_name,

        -- numbers
        year_number,
        quarter_of_year,
        month_of_year,
        day_of_month,
        day_of_week,

        -- booleans
        day_of_week >= 6 as is_weekend,

        -- times
        date_sub(date_day, interval day_of_week - 1 day) as week_start_date,
        date(year_number, month_of_year, 1) as month_start_date,
        date(year_number, quarter_of_year * 3 - 2, 1) as quarter_start_date,
        date(year_number, 1, 1) as year_start_date

    from numbered

)

select * from final
