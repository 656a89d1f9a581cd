-- The epoch of constant shares that a trace began in; 0 where none is told.
if(empty({epochs:Array(Array(UInt32))}), 0,
               toUInt32(arrayCount(start -> start <= toUnixTimestamp(started_at), {epochs:Array(Array(UInt32))}[indexOf({routes:Array(String)}, route)]))) AS epoch
