-- The traces that are compared.
FROM traces AS t FINAL
        WHERE route IN {routes:Array(String)} AND started_at >= toDateTime({since_s:UInt32}, 'UTC')
