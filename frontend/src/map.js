export function drawMap(){}
