-- What a trace is compared as: by {dimension} its variant, model, release, prompt version or period.
multiIf({dimension:String} = 'variant', toString(variant),
        {dimension:String} = 'model', arrayStringConcat(models, '+'),
        {dimension:String} = 'release', toString(service_version),
        {dimension:String} = 'prompt', toString(prompt_version),
        toUnixTimestamp(started_at) < {split_s:UInt32}, 'before', 'after')
